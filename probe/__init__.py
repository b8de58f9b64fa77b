"""What is asked, judged, kept and shown."""
