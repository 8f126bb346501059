package model

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON is a JSON text in canonical form: object keys sorted, no white space,
// numbers as written. Two texts of the same value are equal strings, so values
// of this type compare with ==. "" stands for an absent value.
type JSON string

// Canonical returns the canonical form of raw. It fails on invalid JSON.
func Canonical(raw []byte) (JSON, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", fmt.Errorf("not JSON: %w", err)
	}
	if dec.More() {
		return "", fmt.Errorf("not JSON: data after the value")
	}
	return encode(v)
}

// CanonicalOf is Canonical of v's JSON encoding.
func CanonicalOf(v any) (JSON, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return Canonical(raw)
}

func encode(v any) (JSON, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // Maps are encoded with sorted keys.
		return "", fmt.Errorf("encode: %w", err)
	}
	return JSON(bytes.TrimSpace(b.Bytes())), nil
}

// MarshalJSON implements json.Marshaler: the text itself, null when absent.
func (j JSON) MarshalJSON() ([]byte, error) {
	if j == "" {
		return []byte("null"), nil
	}
	return []byte(j), nil
}

// UnmarshalJSON implements json.Unmarshaler by Canonical; null is absent.
func (j *JSON) UnmarshalJSON(raw []byte) error {
	if string(bytes.TrimSpace(raw)) == "null" {
		*j = ""
		return nil
	}
	c, err := Canonical(raw)
	if err != nil {
		return err
	}
	*j = c
	return nil
}
