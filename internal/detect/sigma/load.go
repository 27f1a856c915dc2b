package sigma

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// LoadDir reads every .yml and .yaml file below a folder of the machine's file system.
func LoadDir(dir string) ([]Document, error) {
	docs, err := LoadFS(os.DirFS(dir))
	for i := range docs {
		docs[i].Name = path.Join(strings.ReplaceAll(dir, "\\", "/"), docs[i].Name)
	}
	return docs, err
}

// LoadZip reads every .yml and .yaml member of a zip archive; what is packed tighter than the limits allow is
// cut there and refused by Compile.
func LoadZip(name string, data []byte) ([]Document, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("reading rules from %s: %w", name, err)
	}
	docs, err := LoadFS(z)
	for i := range docs {
		docs[i].Name = name + "!" + docs[i].Name
	}
	return docs, err
}

// LoadFS reads every .yml and .yaml file of a file system, at most MaxDocuments of them and MaxDocument bytes
// of each plus one, so that Compile can tell that there is more. Folders named "examples" or beginning with a
// dot are left out.
func LoadFS(fsys fs.FS) ([]Document, error) {
	var docs []Document
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base == "examples" || strings.HasPrefix(base, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if ext := strings.ToLower(path.Ext(base)); !d.Type().IsRegular() || ext != ".yml" && ext != ".yaml" {
			return nil
		}
		if len(docs) >= MaxDocuments {
			return fmt.Errorf("more than %d rule files", MaxDocuments)
		}
		f, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, MaxDocument+1))
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		docs = append(docs, Document{Name: name, Data: data})
		return nil
	})
	if err != nil {
		return docs, fmt.Errorf("reading rules: %w", err)
	}
	return docs, nil
}
