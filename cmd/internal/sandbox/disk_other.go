//go:build !linux

package sandbox

import "errors"

func mountDisk(string, int) error { return errors.ErrUnsupported }

func unmountDisk(string) error { return errors.ErrUnsupported }
