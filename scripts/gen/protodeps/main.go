// Command protodeps writes the foreign .proto files that our protos import
// (google/api, google/rpc, buf/validate, protoc-gen-openapiv2/options) into a
// folder, so that buf can compile without a schema registry.
//
// The text is printed from the descriptors that the Go packages of those protos
// register when they are linked in. So no foreign proto text lives in the
// repository, and the versions are the ones go.mod pins.
//
// Usage: protodeps DIR
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Linked in for the descriptors they register, nothing else.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2/options"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

// foreign lists the folders of the import tree that are printed. google/protobuf
// is absent on purpose: buf brings the well-known types itself.
var foreign = []string{
	"buf/validate/",
	"google/api/",
	"google/rpc/",
	"protoc-gen-openapiv2/options/",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", err)
		os.Exit(1)
	}
}

// run prints every foreign file below the one directory named in args.
func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: protodeps DIR")
	}
	files := registered()
	if len(files) == 0 {
		return errors.New("no foreign descriptors are linked in: the imports above are wrong")
	}
	printer := protoprint.Printer{}
	for _, file := range files {
		if err := write(&printer, args[0], file); err != nil {
			return fmt.Errorf("print %s: %w", file.Path(), err)
		}
	}
	return nil
}

// registered returns the descriptors of every linked file below a foreign folder.
func registered() []protoreflect.FileDescriptor {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if isForeign(file.Path()) {
			files = append(files, file)
		}
		return true
	})
	return files
}

func isForeign(path string) bool {
	for _, folder := range foreign {
		if strings.HasPrefix(path, folder) {
			return true
		}
	}
	return false
}

// write prints one file at its import path below dir.
func write(printer *protoprint.Printer, dir string, file protoreflect.FileDescriptor) error {
	text, err := printer.PrintProtoToString(file)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(file.Path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
