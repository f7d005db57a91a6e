"""What turns an image into feature maps of growing stride."""
