// The script of the page of readiness. It uses only the public API and writes text only with `textContent`. The token is
// that of the dashboard, which stays in the tab.
'use strict';

const $ = (id) => document.getElementById(id);
const STATES = { pass: 'completed', fail: 'failed', unknown: 'degraded' };

function say(state, text) {
  $('verdict').dataset.state = state;
  $('verdict').lastElementChild.textContent = text;
}

function cell(label, text, name) {
  const made = document.createElement('td');
  made.dataset.label = label;
  if (name) made.className = name;
  made.append(text);
  return made;
}

function pill(status) {
  const made = document.createElement('span');
  made.className = 'pill';
  made.dataset.state = STATES[status] || 'unknown';
  made.append(document.createElement('i'), status);
  return made;
}

function row(check) {
  const made = document.createElement('tr');
  const value = check.value === null ? '–' : Number(check.value).toLocaleString();
  made.append(cell('Check', check.name), cell('Status', pill(check.status)), cell('Value', value, 'n'),
    cell('Target', check.target), cell('What was measured, and what to do', check.hint, 'reason'));
  return made;
}

function note(text, link) {
  const line = document.createElement('tr');
  const made = cell('', text, 'empty');
  made.colSpan = 5;
  if (link) {
    const anchor = document.createElement('a');
    anchor.href = '/';
    anchor.textContent = link;
    made.append(' ', anchor);
  }
  line.append(made);
  $('checks').tBodies[0].replaceChildren(line);
}

async function show() {
  const headers = { Accept: 'application/json' };
  const token = sessionStorage.getItem('tds-token');
  if (token) headers.Authorization = 'Bearer ' + token;
  try {
    const answer = await fetch('/api/zoho/readiness', { headers });
    if (answer.status === 401) {
      say('unknown', 'signed out');
      note('The operator API requires a token.', 'Sign in on the dashboard');
      return;
    }
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail || 'HTTP ' + answer.status);
    say(found.ready ? 'healthy' : 'degraded', found.ready ? 'ready' : 'not ready');
    $('checks').tBodies[0].replaceChildren(...found.checks.map(row));
  } catch (problem) {
    say('unhealthy', 'no answer');
    note(problem.message);
  }
}

show();
