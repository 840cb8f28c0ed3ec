package datamap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder walks YAML nodes and collects errors instead of stopping at the first.
type decoder struct {
	file string
	errs Errors
}

func (d *decoder) fail(pos Pos, format string, args ...any) { d.errs.Add(d.file, pos, format, args...) }

func at(n *yaml.Node) Pos { return Pos{max(n.Line, 1), max(n.Column, 1)} }

// object is a mapping whose keys were checked against a list.
type object struct {
	d    *decoder
	pos  Pos
	what string
	keys map[string]*yaml.Node
}

// object reads n as a mapping with only the given keys.
func (d *decoder) object(n *yaml.Node, what string, allowed ...string) *object {
	o := &object{d: d, pos: at(n), what: what, keys: map[string]*yaml.Node{}}
	d.each(n, what, func(k string, key, value *yaml.Node) {
		if !slices.Contains(allowed, k) {
			hint := Suggest(k, allowed)
			if hint == "" {
				hint = " in " + what + "; allowed: " + strings.Join(allowed, ", ")
			}
			d.fail(at(key), "unknown key %q%s", k, hint)
			return
		}
		o.keys[k] = value
	})
	return o
}

// each calls f for every entry of the mapping n, in order, refusing duplicates.
func (d *decoder) each(n *yaml.Node, what string, f func(name string, key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(at(n), "%s must be a mapping, not %s", what, kind(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.fail(at(key), "a key in %s must be a plain word", what)
			continue
		}
		if seen[key.Value] {
			d.fail(at(key), "duplicate key %q", key.Value)
			continue
		}
		seen[key.Value] = true
		f(key.Value, key, n.Content[i+1])
	}
}

// kind names what a node is, for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "empty"
	}
	return "a single value"
}

// get returns the node of a key, reporting a required one that is missing.
func (o *object) get(key string, required bool) *yaml.Node {
	n := o.keys[key]
	if n == nil && required {
		o.d.fail(o.pos, "%s: required key %q is missing", o.what, key)
	}
	return n
}

func (o *object) position(key string) Pos {
	if n := o.keys[key]; n != nil {
		return at(n)
	}
	return o.pos
}

// text reads a string; rule, when not nil, says what is wrong with it.
func (o *object) text(key string, required bool, rule func(string) string) string {
	n := o.get(key, required)
	if n == nil {
		return ""
	}
	return o.d.text(n, key, rule)
}

func (d *decoder) text(n *yaml.Node, what string, rule func(string) string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(at(n), "%s must be a text, not %s", what, kind(n))
		return ""
	}
	if n.Tag != "!!str" {
		d.fail(at(n), "%s must be a text; write it in quotes", what)
		return ""
	}
	if rule != nil {
		if wrong := rule(n.Value); wrong != "" {
			d.fail(at(n), "%s %s", what, wrong)
			return ""
		}
	}
	return n.Value
}

// flag reads true or false.
func (o *object) flag(key string, unset bool) bool {
	n := o.get(key, false)
	if n == nil {
		return unset
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || (n.Value != "true" && n.Value != "false") {
		o.d.fail(at(n), "%s must be true or false", key)
		return unset
	}
	return n.Value == "true"
}

// choice reads one of a list of words. A bare null is read as the word "null".
func (o *object) choice(key string, required bool, allowed ...string) string {
	n := o.get(key, required)
	if n == nil {
		return ""
	}
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Value == "null") && slices.Contains(allowed, n.Value) {
		return n.Value
	}
	shown := kind(n)
	if n.Kind == yaml.ScalarNode {
		shown = strconv.Quote(n.Value)
	}
	o.d.fail(at(n), "%s: %s is not one of %s", key, shown, strings.Join(allowed, ", "))
	return ""
}

// constant reads any scalar as its text.
func (o *object) constant(key string) string {
	n := o.get(key, true)
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		o.d.fail(at(n), "%s must be a constant, not %s; to empty a column use do: null or with: \"\"", key, kind(n))
		return ""
	}
	if wrong := noNUL(n.Value); wrong != "" {
		o.d.fail(at(n), "%s %s", key, wrong)
	}
	return n.Value
}

// list calls f for every item of a list.
func (o *object) list(key string, required bool, f func(i int, n *yaml.Node)) {
	n := o.get(key, required)
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		o.d.fail(at(n), "%s must be a list, not %s", key, kind(n))
		return
	}
	if len(n.Content) == 0 && required {
		o.d.fail(at(n), "%s must not be empty", key)
	}
	for i, item := range n.Content {
		f(i, item)
	}
}

// names reads a list of different column names.
func (o *object) names(key string) []Column {
	var out []Column
	o.list(key, false, func(i int, n *yaml.Node) {
		name := o.d.text(n, fmt.Sprintf("%s[%d]", key, i), isName)
		if slices.ContainsFunc(out, func(c Column) bool { return c.Name == name }) && name != "" {
			o.d.fail(at(n), "%s: %q is listed twice", key, name)
		}
		out = append(out, Column{at(n), name})
	})
	return out
}
