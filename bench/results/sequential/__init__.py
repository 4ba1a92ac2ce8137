"""A gate that looks at growing shares of the images, until there is a verdict."""
