SELECT id, boot, lease, slots FROM instances
