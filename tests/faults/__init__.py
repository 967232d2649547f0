"""Faults on purpose: mutated files, processes that are killed, disks that refuse. ``make faults`` runs all of it."""
