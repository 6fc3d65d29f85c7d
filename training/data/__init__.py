"""From folders of pictures to arrays the network can learn from."""
