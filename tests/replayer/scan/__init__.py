"""Many recordings, checked one by one."""
