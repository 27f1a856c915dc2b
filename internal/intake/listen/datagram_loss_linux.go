package listen

import (
	"encoding/binary"
	"net"
	"syscall"
)

// soRxqOvfl and soRcvBufForce are of Linux's asm-generic/socket.h; package syscall lacks them on some machines.
const (
	soRxqOvfl     = 40
	soRcvBufForce = 33
)

// SideSize is how many bytes of control data must be read with each datagram, so that KernelDrops has its count.
const SideSize = 64

// EnlargeBuffer asks for a larger receive buffer, beyond the system's limit where we may, and for the count of datagrams
// that found no room in it. Where either is refused the listener works all the same.
func EnlargeBuffer(c *net.UDPConn, size int) {
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

// KernelDrops follows the kernel's count, which is 32 bits wide and comes with the datagram after the loss.
type KernelDrops struct{ last uint32 }

// Since returns how many datagrams were lost between the one before and this one, whose control data is given.
func (k *KernelDrops) Since(side []byte) int64 {
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
