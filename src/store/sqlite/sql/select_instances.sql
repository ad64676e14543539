SELECT id, boot, lease, slots, seen FROM instances
