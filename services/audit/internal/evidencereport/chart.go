package evidencereport

import (
	"fmt"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// mostBars is how many bars a timeline has; of a longer period a bar stands for a week.
const mostBars = 92

// The drawing area of a chart, in the units of its view box.
const (
	chartWidth  = 900.0
	chartHeight = 240.0
	marginLeft  = 56.0
	marginRight = 8.0
	marginTop   = 10.0
	marginBase  = 40.0
)

// chart is a bar chart as the template draws it.
type chart struct {
	ID, Title, Description string
	Width, Height          float64
	Bars                   []bar
	Lines                  []gridLine
	Labels                 []label
	Legend                 []legend
	Base, Left, Right      float64
}

type bar struct {
	X, Y, Width, Height float64
	Class, Title        string
}

type gridLine struct {
	Y    float64
	Text string
}

// label is a text under a bar; Anchor says which end of it is at X.
type label struct {
	X, Y         float64
	Text, Anchor string
}

type legend struct{ Class, Text, Count string }

// column is a day or week of the period.
type column struct {
	name   string
	groups map[string]int64
	denied int64
}

// groups are the kinds of events that a timeline tells apart, the lowest one first. Decisions have a chart of their own.
var groups = []struct {
	name  string
	kinds []string
}{
	{"read", []string{"VIEW", "AUDIT_READ"}}, {"change", []string{"CREATE", "MODIFY"}}, {"delete", []string{"DELETE"}},
	{"export", []string{"EXPORT"}}, {"admin", []string{"ADMIN", "KEY_USE"}}, {"login", []string{"LOGIN"}},
}

// columnsOf sums days, and weeks of a long period.
func columnsOf(days []dossier.Day, w words) []column {
	size := 1
	if len(days) > mostBars {
		size = 7
	}
	var out []column
	for from := 0; from < len(days); from += size {
		part := days[from:min(from+size, len(days))]
		c := column{name: w.span(part[0].Date, part[len(part)-1].Date), groups: map[string]int64{}}
		for _, d := range part {
			c.denied += d.Denied
			c.groups["decision"] += d.Kinds["DECISION"]
			for _, g := range groups {
				for _, kind := range g.kinds {
					c.groups[g.name] += d.Kinds[kind]
				}
			}
		}
		out = append(out, c)
	}
	return out
}

func (w words) span(from, to string) string {
	first, err1 := time.Parse(time.DateOnly, from)
	last, err2 := time.Parse(time.DateOnly, to)
	switch {
	case err1 != nil || err2 != nil:
		return from
	case from == to:
		return w.date(first)
	}
	return w.date(first) + " – " + w.date(last)
}

// series is one colour of a bar chart.
type series struct {
	class, name string
	value       func(column) int64
}

func timeline(columns []column, w words) chart {
	var all []series
	for _, g := range groups {
		all = append(all, series{"c-" + g.name, w.say("group." + g.name), func(c column) int64 { return c.groups[g.name] }})
	}
	return stacked("timeline", columns, all, w)
}

func decisions(columns []column, w words) chart {
	return stacked("decisions", columns, []series{{"c-decision", w.say("kind.DECISION"), func(c column) int64 { return c.groups["decision"] }}}, w)
}

func denials(columns []column, w words) chart {
	return stacked("denials", columns, []series{{"c-denied", w.say("denied"), func(c column) int64 { return c.denied }}}, w)
}

func erasures(e dossier.ErasureFigures, w words) chart {
	var columns []column
	for _, d := range e.Durations {
		columns = append(columns, column{name: w.say("took." + d.Name), denied: d.Count})
	}
	c := stacked("erasures", columns, []series{{"c-delete", w.say("erasures"), func(c column) int64 { return c.denied }}}, w)
	c.Labels = nil
	step := (chartWidth - marginLeft - marginRight) / float64(len(columns))
	for i, col := range columns {
		c.Labels = append(c.Labels, label{round(marginLeft + (float64(i)+0.5)*step), chartHeight - marginBase + 18, col.name + ": " + w.number(col.denied), "middle"})
	}
	return c
}

// stacked draws a bar for each column, with the series on top of each other.
func stacked(id string, columns []column, all []series, w words) chart {
	c := chart{ID: id, Title: w.say("chart." + id), Description: w.say("chart." + id + ".about"), Width: chartWidth, Height: chartHeight,
		Base: chartHeight - marginBase, Left: marginLeft, Right: chartWidth - marginRight}
	highest := int64(0)
	for _, col := range columns {
		highest = max(highest, sum(col, all))
	}
	top := nice(highest)
	scale := (chartHeight - marginTop - marginBase) / float64(top)
	for i := range int64(5) {
		if value := top * i / 4; i == 0 || value != top*(i-1)/4 {
			c.Lines = append(c.Lines, gridLine{round(c.Base - float64(value)*scale), w.number(value)})
		}
	}
	step := (chartWidth - marginLeft - marginRight) / float64(max(len(columns), 1))
	for i, col := range columns {
		y := c.Base
		for _, s := range all {
			n := s.value(col)
			if n == 0 {
				continue
			}
			height := max(float64(n)*scale, 1)
			y -= height
			c.Bars = append(c.Bars, bar{round(marginLeft + float64(i)*step + step*0.08), round(y), round(step * 0.84), round(height), s.class,
				fmt.Sprintf("%s: %s, %s", col.name, s.name, w.number(n))})
		}
	}
	c.Labels = labels(columns, step)
	for _, s := range all {
		n := int64(0)
		for _, col := range columns {
			n += s.value(col)
		}
		c.Legend = append(c.Legend, legend{s.class, s.name, w.number(n)})
	}
	return c
}

// labels name the first, the middle and the last column. The outer ones begin and end with their bars, to stay inside the drawing.
func labels(columns []column, step float64) (out []label) {
	const y = chartHeight - marginBase + 18
	last := len(columns) - 1
	if last < 0 {
		return nil
	}
	out = append(out, label{round(marginLeft + step*0.08), y, columns[0].name, "start"})
	if last >= 4 {
		out = append(out, label{round(marginLeft + (float64(last/2)+0.5)*step), y, columns[last/2].name, "middle"})
	}
	if last > 0 {
		out = append(out, label{round(chartWidth - marginRight - step*0.08), y, columns[last].name, "end"})
	}
	return out
}

func sum(c column, all []series) (n int64) {
	for _, s := range all {
		n += s.value(c)
	}
	return n
}

// nice is the next number up that makes a good end of an axis: 4, 8, 20, 40, 80, 200, …
func nice(n int64) int64 {
	for size := int64(4); ; size *= 10 {
		for _, factor := range []int64{1, 2, 5} {
			if size*factor >= n {
				return size * factor
			}
		}
	}
}

// round keeps two decimals: the same figures give the same page.
func round(v float64) float64 { return float64(int64(v*100+0.5)) / 100 }

// share is one bar that is divided in two.
type share struct {
	Allow, Deny           int64
	AllowWidth, DenyWidth float64
	Title                 string
}

func shareOf(d dossier.DecisionFigures, w words) *share {
	total := d.Allow + d.Deny
	s := &share{Allow: d.Allow, Deny: d.Deny, AllowWidth: round(chartWidth * float64(d.Allow) / float64(total))}
	s.DenyWidth = round(chartWidth - s.AllowWidth)
	s.Title = fmt.Sprintf("%s: %s, %s: %s", w.say("allow"), w.number(d.Allow), w.say("deny"), w.number(d.Deny))
	return s
}
