//go:build !linux

package netflow

import "net"

const sideSize = 0

// enlarge asks for a larger receive buffer.
func enlarge(c *net.UDPConn, size int) { _ = c.SetReadBuffer(size) }

// kernelDrops knows nothing here: only Linux tells how many datagrams it dropped.
type kernelDrops struct{}

func (kernelDrops) since([]byte) int64 { return 0 }
