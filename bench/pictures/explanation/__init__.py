"""Why a detector says what it says: where in a picture it looks, and what generators leave in spectra."""
