//! Mutexes whose value is complete between any two steps, so that a panic of another thread does not damage the value.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. The lock succeeds even if a thread panicked while it held the mutex.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
