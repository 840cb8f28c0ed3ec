// Package openapi is the contract of the REST interface (OpenAPI 2), as the gateway serves it at /openapi.json.
//
// The generated document (openapi.swagger.json, made from the protos) names a resource's whole path by one parameter and
// knows nothing of the routes that are not in the protos. [Document] writes every path out as it is called, adds the
// gateway's own routes, and says how to authenticate.
package openapi

import (
	_ "embed" // for the documents beside this file
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed openapi.swagger.json
var generated []byte

// own describes the routes that no proto annotation can say.
//
//go:embed own.json
var own []byte

// Operation says where an operation of the generated document is really served.
type Operation struct {
	// ID is the generated operation id, `Service_Method`.
	ID string
	// Method is the HTTP method, in upper case.
	Method string
	// Path is the path with one parameter for each id: `/v1/controllers/{controller}/exports/{export}`.
	Path string
}

type object = map[string]any

// parameter finds the parameters of a path.
var parameter = regexp.MustCompile(`\{([A-Za-z]+)\}`)

// Document makes the document for the operations of a gateway of this version. An operation that the generated document does
// not have is an error: it was generated from other protos.
func Document(operations []Operation, version string) ([]byte, error) {
	var doc, extra struct {
		Paths map[string]map[string]object `json:"paths"`
	}
	var top, overlay object
	for _, in := range []struct {
		text []byte
		into any
	}{{generated, &doc}, {own, &extra}, {generated, &top}, {own, &overlay}} {
		if err := json.Unmarshal(in.text, in.into); err != nil {
			return nil, fmt.Errorf("openapi: %w", err)
		}
	}
	byID := map[string]object{}
	for _, item := range doc.Paths {
		for _, op := range item {
			if id, ok := op["operationId"].(string); ok {
				byID[id] = op
			}
		}
	}
	paths := extra.Paths
	for _, o := range operations {
		op, ok := byID[o.ID]
		if !ok {
			return nil, fmt.Errorf("openapi: the generated document has no operation %s; run make generate", o.ID)
		}
		op["parameters"] = parameters(o.Path, op["parameters"])
		plainLines(op)
		if paths[o.Path] == nil {
			paths[o.Path] = map[string]object{}
		}
		paths[o.Path][strings.ToLower(o.Method)] = op
	}
	for name, value := range overlay {
		top[name] = value
	}
	top["paths"], top["tags"] = paths, usedTags(top["tags"], paths)
	if info, ok := top["info"].(object); ok {
		info["version"] = version
	}
	return json.MarshalIndent(top, "", " ")
}

// parameters puts the path's own parameters in place of the generated ones.
func parameters(path string, generated any) []any {
	out := []any{}
	for _, p := range parameter.FindAllStringSubmatch(path, -1) {
		out = append(out, object{"name": p[1], "in": "path", "required": true, "type": "string",
			"description": "Id of the " + p[1] + ".", "pattern": "[a-z0-9][a-z0-9-]{0,62}"})
	}
	list, _ := generated.([]any)
	for _, p := range list {
		if g, ok := p.(object); ok && g["in"] != "path" {
			out = append(out, g)
		}
	}
	return out
}

// plainLines describes a stream as it is served: one plain object a line, not wrapped in `{"result":…}`.
func plainLines(op object) {
	responses, _ := op["responses"].(object)
	ok, _ := responses["200"].(object)
	schema, _ := ok["schema"].(object)
	properties, _ := schema["properties"].(object)
	if result, streamed := properties["result"]; streamed {
		ok["schema"], ok["description"] = result, "One object a line, now and after each change. An error is the last line."
		op["produces"] = []any{"application/x-ndjson"}
	}
}

// usedTags leaves out the services that the gateway does not serve.
func usedTags(all any, paths map[string]map[string]object) []any {
	used := map[any]bool{}
	for _, item := range paths {
		for _, op := range item {
			tags, _ := op["tags"].([]any)
			for _, t := range tags {
				used[t] = true
			}
		}
	}
	out := []any{}
	list, _ := all.([]any)
	for _, t := range list {
		if tag, ok := t.(object); ok && used[tag["name"]] {
			out = append(out, tag)
		}
	}
	return out
}
