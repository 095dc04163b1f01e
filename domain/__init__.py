"""What a connection is, what it may become, and when.

Pure: no input or output, and no clock read in anything a workflow calls. Every other room may
import this one; it imports none.
"""
