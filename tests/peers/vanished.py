"""A peer that vanishes: its machine is gone, so nothing reaches it and nothing comes from it."""

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26  # socket(7); Linux
# Classic BPF: return 0, keep no byte of any packet (BPF_RET | BPF_K).
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)


def vanish(peer: socket.socket) -> None:
    """Let no segment reach ``peer`` any more: no acknowledgement, no FIN, no reset comes from it.

    Its kernel drops what arrives before TCP sees it. The socket must stay open as long as it is to
    be gone: closing it would send a FIN.
    """
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    value = struct.pack("HL", 1, ctypes.addressof(program))
    peer.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, value)
