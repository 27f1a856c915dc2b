package detect

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// EncodeState encodes a detector's state; the state must be a value that encoding/gob takes. Maps may come out
// in another order each time; what Restore makes of it is the same.
func EncodeState(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("encoding detector state: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeState decodes what EncodeState returned.
func DecodeState(b []byte, v any) error {
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return fmt.Errorf("decoding detector state: %w", err)
	}
	return nil
}
