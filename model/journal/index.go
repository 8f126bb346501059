package journal

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/istio-cutover/cutover/model"
)

// indexName is the file that maps API server URLs to cluster UIDs, so that a
// journal is found with the API gone.
const indexName = "clusters.json"

// Remember notes under dir that the API server at URL server is the cluster uid.
func Remember(dir, server, uid string) error {
	known, err := readIndex(dir)
	if err != nil || known[server] == uid {
		return err
	}
	known[server] = uid
	raw, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return indexFailure(dir, err)
	}
	// Written aside and renamed, so that a crash leaves the old one or the new one.
	tmp, err := os.CreateTemp(dir, indexName+".*")
	if err != nil {
		return indexFailure(dir, err)
	}
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, indexName))
	}
	if err != nil {
		return errors.Join(indexFailure(dir, err), os.Remove(tmp.Name()))
	}
	return nil
}

// Recall returns the uid of the cluster that was last seen at the API server
// URL, "" when none was.
func Recall(dir, server string) (string, error) {
	known, err := readIndex(dir)
	return known[server], err
}

func readIndex(dir string) (map[string]string, error) {
	known := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err != nil {
		return known, indexFailure(dir, err)
	}
	return known, nil
}

func indexFailure(dir string, err error) error {
	return &model.Error{
		Kind: model.KindInternal, Operation: "index of clusters", Object: filepath.Join(dir, indexName),
		Message: err.Error(), Err: err,
		Remedy: "check the state directory's permissions and free space, or name another with --state-dir",
	}
}
