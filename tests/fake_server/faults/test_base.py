"""What all faults are."""

from __future__ import annotations

import pytest

from fake_server.faults import FAULTS, fault_type
from fake_server.faults.base import HandshakeFault, LoginFault, MessageFault, MomentFault


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_of_one_kind_and_does_what_that_asks_for(name: str) -> None:
    """Nothing else would say that it lacks the method: a Struct can be made without it."""
    fault = fault_type(name)
    kinds = (MessageFault, MomentFault, HandshakeFault, LoginFault)
    assert sum(issubclass(fault, kind) for kind in kinds) == 1
    methods = (getattr(fault, method) for method in dir(fault))
    missing = [one for one in methods if getattr(one, "__isabstractmethod__", False)]
    assert missing == []
