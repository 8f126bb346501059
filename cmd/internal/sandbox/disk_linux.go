package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

// mountDisk mounts a disk in memory of so many bytes over a folder, for whoever
// owns the folder.
func mountDisk(dir string, size int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner := ""
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf(",uid=%d,gid=%d", stat.Uid, stat.Gid)
	}
	return syscall.Mount("cutover-sandbox", dir, "tmpfs", syscall.MS_NODEV|syscall.MS_NOSUID, fmt.Sprintf("size=%d,mode=0700%s", size, owner))
}

// unmountDisk takes the disk away. Who has a file on it open may still read it.
func unmountDisk(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
