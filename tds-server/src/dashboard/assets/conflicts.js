// The script of the page of conflicts and local changes. It uses only the public API and writes text only with
// `textContent`. The token is that of the dashboard, which stays in the tab. Requests are sent every five seconds, and
// none while the page is hidden.
'use strict';

const EVERY = 5000;
const STATES = { pending: 'processing', pushed: 'completed', unchanged: 'completed', shadow: 'paused', conflict: 'failed', discarded: 'unknown' };
const $ = (id) => document.getElementById(id);
let timer = null;

async function call(method, path, body) {
  const headers = { Accept: 'application/json' };
  const token = sessionStorage.getItem('tds-token');
  if (token) headers.Authorization = 'Bearer ' + token;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) throw new Error('Sign in on the dashboard first.');
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || 'HTTP ' + answer.status);
  return found;
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'class') made.className = value;
    else if (key.startsWith('data-') || key.startsWith('aria-') || key === 'colspan') made.setAttribute(key, value);
    else made[key] = value;
  }
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
  return made;
}

const words = (name) => name.replaceAll('_', ' ');
const pill = (state, text) => element('span', { class: 'pill', 'data-state': state }, element('i'), words(text));
const shown = (value) => value === null ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value);
const time = (text) => text ? new Date(text).toLocaleString() : 'never';

function say(state, text) {
  $('verdict').dataset.state = state;
  $('verdict').lastElementChild.textContent = text;
}

function toast(text, bad) {
  const made = element('div', { class: bad ? 'toast bad' : 'toast' }, text);
  $('toasts').append(made);
  setTimeout(() => made.remove(), bad ? 8000 : 4000);
}

// A part of the page is drawn anew only when its data changed, so that choices and focus are kept.
const drawn = new Map();
function isNew(place, data) {
  const key = JSON.stringify(data);
  if (drawn.get(place) === key) return false;
  drawn.set(place, key);
  return true;
}

function fill(table, rows, row, empty) {
  if (!isNew(table, rows)) return;
  const heads = [...$(table).tHead.rows[0].cells].map((cell) => cell.textContent);
  $(table).tBodies[0].replaceChildren(...(rows.length ? rows.map(row) : [element('tr', {}, element('td', { class: 'empty', colspan: heads.length }, empty))]));
  for (const line of $(table).tBodies[0].rows) for (const cell of line.cells) cell.dataset.label = heads[cell.cellIndex];
}

// --- conflicts --------------------------------------------------------------------------------------------------

async function resolve(button, conflict, decision) {
  button.disabled = true;
  try {
    await call('POST', '/api/zoho/conflicts/' + conflict.id + '/resolve', decision);
    toast('Conflict ' + conflict.id + ' is decided; the push continues');
    await refresh();
  } catch (problem) {
    toast(problem.message, true);
  } finally {
    button.disabled = false;
  }
}

// A number of JavaScript has 15 exact digits. A longer one must not be sent back.
const isInexact = (value) => typeof value === 'number' && String(value).replace(/\D/g, '').length > 15;

// Returns the decision of a choice by field: what is taken of Zoho is named, and everything else is taken of the ERP.
function mixed(conflict, chosen) {
  const sides = new Set(chosen.values());
  if (sides.size === 1) return { take: [...sides][0] };
  const taken = conflict.fields.filter((field) => chosen.get(field.field) === 'zoho');
  if (taken.some((field) => isInexact(field.zoho))) {
    throw new Error('A number has too many digits for this page. Use tds-server conflicts resolve ' + conflict.id + '.');
  }
  return { take: 'erp', fields: Object.fromEntries(taken.map((field) => [field.field, field.zoho])) };
}

function version(conflict, field, side, chosen, changed) {
  const input = element('input', { type: 'radio', name: 'conflict-' + conflict.id + '-' + field.field });
  input.addEventListener('change', () => { chosen.set(field.field, side); changed(); });
  return element('td', { class: 'version' }, element('label', {}, input, element('span', {}, shown(field[side]))));
}

function conflictBlock(conflict) {
  const chosen = new Map();
  const record = words(conflict.entity_type) + ' ' + conflict.local_id;
  const apply = element('button', { type: 'button', disabled: true }, 'Apply the choice');
  const changed = () => { apply.disabled = chosen.size < conflict.fields.length; };
  apply.addEventListener('click', () => {
    try { resolve(apply, conflict, mixed(conflict, chosen)); } catch (problem) { toast(problem.message, true); }
  });
  const whole = (side, label) => {
    const button = element('button', { type: 'button', 'aria-label': label + ' for ' + record }, label);
    button.addEventListener('click', () => resolve(button, conflict, { take: side }));
    return button;
  };
  const rows = conflict.fields.map((field) => element('tr', {}, element('td', { class: 'name' }, field.field),
    element('td', { class: 'version muted' }, shown(field.base)),
    version(conflict, field, 'erp', chosen, changed), version(conflict, field, 'zoho', chosen, changed)));
  const heads = ['Field', 'Last common value', 'ERP', 'Zoho'].map((head) => element('th', {}, head));
  return element('article', { class: 'conflict' },
    element('div', { class: 'head' }, element('b', {}, record),
      element('span', { class: 'muted' }, (conflict.zoho_id ? 'Zoho ' + conflict.zoho_id + ', ' : '') + 'found ' + time(conflict.created_at)),
      element('span', { class: 'grow' }), whole('erp', 'Take all of the ERP'), whole('zoho', 'Take all of Zoho'), apply),
    element('div', { class: 'scroll' }, element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows))));
}

function showConflicts(page) {
  const open = page.items.length;
  say(open ? 'degraded' : 'healthy', open ? (page.next_cursor ? 'more than ' : '') + open + ' open' : 'no conflicts');
  if (!isNew('conflicts', page.items)) return;
  $('conflicts').replaceChildren(...(open ? page.items.map(conflictBlock) : [element('p', { class: 'empty' }, 'No field was changed on both sides.')]));
}

// --- modes and local changes ------------------------------------------------------------------------------------

function modeRow(mode) {
  const fields = Object.entries(mode.field_policies).map(([field, policy]) => field + ': ' + words(policy));
  return element('tr', {}, element('td', { class: 'name' }, words(mode.entity_type)),
    element('td', {}, pill(mode.mode === 'zoho_primary' ? 'unknown' : mode.mode === 'shadow' ? 'paused' : 'completed', mode.mode)),
    element('td', { class: 'reason' }, [words(mode.conflict_policy), ...fields].join(', ')), element('td', {}, time(mode.changed_at)));
}

function changeRow(change) {
  const record = element('td', {}, words(change.entity_type) + ' ' + change.local_id, element('span', { class: 'sub' }, change.zoho_id ? 'Zoho ' + change.zoho_id : 'not in Zoho yet'));
  const fields = change.fields === null ? 'any field' : change.fields.join(', ');
  const dead = change.status === 'pending' && change.queue_item_status === 'dead_letter';
  const status = element('td', { class: 'state' }, pill(dead ? 'failed' : STATES[change.status] || 'unknown', dead ? 'dead letter' : change.status),
    change.in_doubt ? element('span', { class: 'sub' }, 'create in doubt') : null);
  return element('tr', {}, record, element('td', { class: 'reason' }, change.operation === 'delete' ? 'removed' : fields), status,
    element('td', { class: 'reason' }, change.error_message || change.note || ''), element('td', { class: 'n' }, String(change.retry_count)),
    element('td', {}, time(change.captured_at)));
}

async function refresh() {
  const [conflicts, modes, changes] = await Promise.all([
    call('GET', '/api/zoho/conflicts?status=open&limit=50'),
    call('GET', '/api/zoho/sync/modes'),
    call('GET', '/api/zoho/outbox?limit=50'),
  ]);
  showConflicts(conflicts);
  fill('modes', modes.modes.filter((mode) => mode.writable), modeRow, 'No entity type can be written to Zoho.');
  fill('changes', changes.items, changeRow, 'No program has changed a record in a mode that captures changes.');
  $('hidden-changes').textContent = changes.next_cursor ? 'the newest 50; tds-server outbox list shows the others' : '';
  $('updated').textContent = 'updated ' + new Date().toLocaleTimeString();
}

async function tick() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    await refresh();
  } catch (problem) {
    say('unhealthy', problem instanceof TypeError ? 'no connection' : problem.message);
  }
  timer = setTimeout(tick, EVERY);
}

document.addEventListener('visibilitychange', tick);
tick();
