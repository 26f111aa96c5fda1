"""What other systems announce becomes what happened to a business."""
