"""The simulated fleet: devices with believable signals, each on its own MQTT connection."""
