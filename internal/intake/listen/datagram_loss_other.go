//go:build !linux

package listen

import "net"

// SideSize is how many bytes of control data must be read with each datagram.
const SideSize = 0

// EnlargeBuffer asks for a larger receive buffer.
func EnlargeBuffer(c *net.UDPConn, size int) { _ = c.SetReadBuffer(size) }

// KernelDrops knows nothing here: only Linux tells how many datagrams it dropped.
type KernelDrops struct{}

// Since returns 0.
func (KernelDrops) Since([]byte) int64 { return 0 }
