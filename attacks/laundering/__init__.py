"""Attacks of somebody who has neither the detector nor its gradient: pictures made anew by a network."""
