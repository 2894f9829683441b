"""What is opened from the settings: stores, clients and flows."""
