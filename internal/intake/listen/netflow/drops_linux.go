package netflow

import (
	"encoding/binary"
	"net"
	"syscall"
)

// soRxqOvfl and soRcvBufForce are of Linux's asm-generic/socket.h; package syscall lacks them on some machines.
const (
	soRxqOvfl     = 40
	soRcvBufForce = 33
	sideSize      = 64
)

// enlarge asks for a larger receive buffer, beyond the system's limit where we may, and for the count of datagrams
// that found no room in it. Where either is refused the listener works all the same.
func enlarge(c *net.UDPConn, size int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soRcvBufForce, size) != nil {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
		}
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soRxqOvfl, 1)
	})
}

// kernelDrops follows the kernel's count, which is 32 bits wide and comes with the datagram after the loss.
type kernelDrops struct{ last uint32 }

func (k *kernelDrops) since(side []byte) int64 {
	list, err := syscall.ParseSocketControlMessage(side)
	if err != nil {
		return 0
	}
	for _, m := range list {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == soRxqOvfl && len(m.Data) >= 4 {
			now := binary.NativeEndian.Uint32(m.Data)
			lost := now - k.last
			k.last = now
			return int64(lost)
		}
	}
	return 0
}
