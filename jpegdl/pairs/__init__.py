"""What a pair is: two networks of one architecture, one of them behind a JPEG layer, and the facts about them."""
