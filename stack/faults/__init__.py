"""The fault table on real servers: every fault is proven, every run ends with the audit.

`rows` holds the cases; the other modules are what they are made of: the pipeline of one case
(`rig`), what is seen of ingest (`watch`), the broken links and stores between real parts
(`link_proxy`, `store_proxy`), and devices that send what ours never would (`raw_device`, `burst`).
"""
