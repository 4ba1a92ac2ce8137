"""Defences that stand before a network, each so that an attack can go through it.

A module declares ``DEFENCES = {"name": Class}``; ``--detector 'defended(resnet50,jpeg(quality=75))'`` names
them. A leaf of its own: what is like a corruption here is written for tensors and for gradients.
"""
