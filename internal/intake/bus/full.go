package bus

// Full returns ErrFull while nothing is taken because the disk has too little room, and nil else.
func (j *JetStream) Full() error { return j.room.reserve(0) }
