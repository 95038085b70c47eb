"""What is lost, and what is told, when things go wrong while a recorder records."""
