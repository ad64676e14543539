SELECT id, boot, lease FROM instances
