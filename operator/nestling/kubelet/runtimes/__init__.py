"""What runs the containers of a virtual pod."""
