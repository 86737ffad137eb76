"""The way in by MQTT: a durable session at the broker."""
