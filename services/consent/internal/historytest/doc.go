// Package historytest is what tests of answers are made of, in every room of the service: the situations of the decision table
// ([Situations], [ReadTable]), and random histories with a model of what their answers should be ([Random], [Model]).
//
// The model knows a history as a list of what happened, and goes through that list for each question. It shares no rule with the
// domain: what is the same in both was thought of twice.
package historytest
