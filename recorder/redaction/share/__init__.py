"""Profile ``share``: what tells people and things apart is replaced by keyed pseudonyms, and places
are moved as a whole. Pure.

Names, phones, contacts, unique ids, UUIDs and MACs become pseudonyms that are the same in every
recording made with the same key, so that ids still join devices, positions and beacons.
Coordinates go through one rotation of the sphere, so that distances and speeds hold.

============== ===============================================
module         what it knows
============== ===============================================
``key``        the key of a redaction, from a file or a text
``pseudonyms`` a value's pseudonym, and its shape
``sphere``     where a place is moved to
``fields``     names of fields
``tokens``     keys, values and brackets of JSON, torn or whole
``places``     latitudes and longitudes, shapes of geofences
``learnt``     values that were seen, found again in other texts
``transform``  all of it over one text
============== ===============================================
"""

from __future__ import annotations

from recorder.redaction.share.key import KEY_VARIABLE, RedactionKey, key_from_file, key_from_text
from recorder.redaction.share.learnt import Learnt
from recorder.redaction.share.pseudonyms import Pseudonyms
from recorder.redaction.share.sphere import Motion
from recorder.redaction.share.transform import Share

__all__ = [
    "KEY_VARIABLE",
    "Learnt",
    "Motion",
    "Pseudonyms",
    "RedactionKey",
    "Share",
    "key_from_file",
    "key_from_text",
]
