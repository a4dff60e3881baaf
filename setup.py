"Reads settings.ini, which nbdev reads too, so that name, version and requirements stand in one place."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
reader = ConfigParser(delimiters=["="])
reader.read(here/"settings.ini", encoding="utf-8")
settings = reader["DEFAULT"]
readme = here/"README.md"

setup(
    name=settings["lib_name"],
    version=settings["version"],
    description=settings["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    keywords=settings["keywords"].split(),
    author=settings["author"],
    author_email=settings["author_email"],
    url=settings["git_url"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=["Development Status :: 3 - Alpha", "Intended Audience :: Education", "Natural Language :: English",
                 "Programming Language :: Python :: 3", "Topic :: Scientific/Engineering :: Artificial Intelligence"],
    packages=find_packages(include=["lesson_nb", "lesson_nb.*"]),
    package_data={"lesson_nb": ["**/*.toml", "**/*.json", "**/*.csv", "**/*.txt", "weights/*.pt"]},
    python_requires=f">={settings['min_python']}",
    install_requires=settings["requirements"].split(),
    extras_require={"dev": settings["dev_requirements"].split()},
    zip_safe=False,
)
