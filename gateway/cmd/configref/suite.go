package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/services/consent"
)

// suiteModel makes the model of the suite's command line from its source: a package main cannot be imported. The declarations
// are rebuilt as types with the same fields and tags, and kong reads those as it reads the originals.
func suiteModel(dir string) (*kong.Application, error) {
	declared, err := structs(dir)
	if err != nil {
		return nil, err
	}
	root, err := declared.build("cli")
	if err != nil {
		return nil, err
	}
	k, err := kong.New(reflect.New(root).Interface(), kong.Name("privacyops"), kong.Vars{"version": ""})
	if err != nil {
		return nil, err
	}
	return k.Model, nil
}

// declarations are the struct types of a package, by name.
type declarations map[string]*ast.StructType

func structs(dir string) (declarations, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	found := declarations{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					found[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	return found, nil
}

// build makes the type of a declared struct. Fields that are not exported are no settings.
func (d declarations) build(name string) (reflect.Type, error) {
	declared, ok := d[name]
	if !ok {
		return nil, fmt.Errorf("there is no struct called %s", name)
	}
	var fields []reflect.StructField
	for _, f := range declared.Fields.List {
		tag := ""
		if f.Tag != nil {
			text, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: tag %s: %w", name, f.Tag.Value, err)
			}
			tag = text
		}
		of, err := d.typeOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, field := range f.Names {
			if field.IsExported() {
				fields = append(fields, reflect.StructField{Name: field.Name, Type: of, Tag: reflect.StructTag(tag)})
			}
		}
		if len(f.Names) == 0 { // an embedded struct: kong treats a field with this tag the same
			fields = append(fields, reflect.StructField{Name: fmt.Sprintf("Embedded%d", len(fields)), Type: of, Tag: reflect.StructTag(tag + ` embed:""`)})
		}
	}
	return reflect.StructOf(fields), nil
}

// typeOf makes the type that a field is declared with. A type that it does not know is an error: the reference would be
// incomplete without a word.
func (d declarations) typeOf(e ast.Expr) (reflect.Type, error) {
	switch e := e.(type) {
	case *ast.Ident:
		switch e.Name {
		case "string":
			return reflect.TypeFor[string](), nil
		case "bool":
			return reflect.TypeFor[bool](), nil
		case "int":
			return reflect.TypeFor[int](), nil
		}
		return d.build(e.Name)
	case *ast.ArrayType:
		of, err := d.typeOf(e.Elt)
		if err != nil {
			return nil, err
		}
		return reflect.SliceOf(of), nil
	case *ast.MapType:
		return reflect.TypeFor[map[string]string](), nil
	case *ast.SelectorExpr:
		switch e.Sel.Name {
		case "Duration":
			return reflect.TypeFor[time.Duration](), nil
		case "Time":
			return reflect.TypeFor[time.Time](), nil
		case "VersionFlag":
			return reflect.TypeFor[kong.VersionFlag](), nil
		case "Settings":
			if fmt.Sprint(e.X) == "redis" {
				return reflect.TypeFor[redis.Settings](), nil
			}
		case "Signing":
			return reflect.TypeFor[consent.Signing](), nil
		}
		return nil, fmt.Errorf("a field of type %s is new to configref", e.Sel.Name)
	}
	return nil, fmt.Errorf("a field of type %T is new to configref", e)
}
