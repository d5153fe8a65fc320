# SPDX-License-Identifier: MIT
"""The hx- commands; ../halcyon.py loads them."""
