package sample

import (
	_ "embed" // datamap.yaml
	"fmt"
	"os"
	"path/filepath"
)

// DataMap is the platform's data map, in the format that participant.SystemConfig reads.
//
//go:embed datamap.yaml
var DataMap []byte

// WriteDataMap writes the data map to learning-platform.yaml in a folder, which must exist, and returns the file's path. A file that
// is there already is replaced.
func WriteDataMap(dir string) (string, error) {
	path := filepath.Join(dir, System+".yaml")
	if err := os.WriteFile(path, DataMap, 0o600); err != nil {
		return "", fmt.Errorf("sample: write data map: %w", err)
	}
	return path, nil
}
