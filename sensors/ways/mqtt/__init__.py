"""MQTT 5 through paho: one connection a device, its status, its commands, its last will."""
