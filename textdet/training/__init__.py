"""What train.py is made of: arguments, data sets, augmentation, loss, optimizer, callbacks."""
