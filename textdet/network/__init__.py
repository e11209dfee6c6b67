"""The networks, what runs them, and what is made with them: detections and pseudo-labels."""
