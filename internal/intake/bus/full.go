package bus

// Full returns ErrFull while the disk has too little room for a batch of the usual greatest size, and nil else.
// Smaller batches may still be taken then.
func (j *JetStream) Full() error {
	j.room.mu.Lock()
	defer j.room.mu.Unlock()
	return j.room.fits(MaxBytes)
}
