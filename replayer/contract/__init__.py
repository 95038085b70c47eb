"""What the backend says, learnt from recordings, and whether it still says so."""
