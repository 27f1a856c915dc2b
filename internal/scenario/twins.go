package scenario

// sweepLast is the last host address that inventories look at.
const sweepLast = 90

func (w *world) twins() {}
